"""How users' mail programs are set up, told in each form that programs read. Pure; knows no user, only addresses."""
