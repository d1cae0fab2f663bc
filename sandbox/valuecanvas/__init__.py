"""ValueCanvas, as far as disaster recovery looks at it: health of its database and cache, and its LLM service."""
