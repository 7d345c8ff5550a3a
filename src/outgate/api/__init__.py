"""What programs ask for by HTTP: the APIs that tools for Google Workspace speak, and tokens for them.

A method is declared once (api_method.ApiMethod): its route, its parameters, its scopes, what it takes and gives. Routes
and discovery documents are made of these. What a method does is operations; whose request it is, its token says. Knows
no page.
"""
