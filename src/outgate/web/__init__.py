"""Pages for people, as routes on the HTTP base: for users, for administrators, for whoever has a confirmation link.

visits.py       whose request it is; strangers are asked to log in
visit.py        what a page is given: its user, transactions for operations, answers
page.py         templates, and the words of a language (words.py, locales/)
*_page.py       the pages themselves: each calls operations and shows what came of it
page_routes.py  all of them, with their addresses
"""
