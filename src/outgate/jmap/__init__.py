"""JMAP (RFC 8620, 8621), in the measure that sending needs: identities, uploaded messages, their submission.

A request is read in `jmap_request`, which calls each method that it names; a method is declared once (`jmap_method`),
and what it does is operations. Whose request it is, its token says, as everywhere in the API. Knows no page.
"""
