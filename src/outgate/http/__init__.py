"""The one HTTP base: a listener, and an application made of routes, on which pages and API stand beside each other.

A request passes, from outside in (application.py puts them together):

    HttpListener        how many connections there may be, in all and of one peer
    HttpConnection      how long a request's head and body may take
    RequestIds          a name for the request, in its answer and in every log line about it
    SecurityHeaders     what each answer tells browsers
    ErrorResponses      exceptions become a page or problem+json, and a log line if nobody foresaw them
    PeerRequests        how many requests there may be at once of one peer
    HttpRoute           by path and method; then, as the route declares:
      cross_site        no change asked for by another site
      body_limit        how much may be sent
      rate_limit        how often a peer may ask
      the handler       in the base's threads if it is a plain function, on the event loop if it is `async`

Knows no page and no operation: those are routes, made elsewhere.
"""
