"""What a person types at a terminal.

A command that cannot do what it is asked says why in a sentence, changes nothing and exits with 1.
"""
