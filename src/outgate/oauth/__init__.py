"""Log-ins to gateways by OAuth 2: providers, users' sign-ins there, and the tokens, kept fresh. Hands over no mail."""
