"""What tests share: the cast, factories, statement counts, and the user's verbs in a browser."""
