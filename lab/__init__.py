"""The lab: real mail servers in network namespaces, for the tests in tests/lab. Needs root; changes nothing outside.

`Lab` in `story.py` starts everything and takes it down again.
"""
