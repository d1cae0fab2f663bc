"""The rules and the engine of Recovery Bot: no Slack, no Block Kit; vendors live in `bot.clients` and `bot.store`."""
