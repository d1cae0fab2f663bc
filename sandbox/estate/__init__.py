"""The processes behind the practice platform: a real Postgres, a real Redis, the ValueCanvas application."""
