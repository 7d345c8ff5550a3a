"""What an OpenID provider says of somebody, and whether it is the provider who says it. Knows no account."""
