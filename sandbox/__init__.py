"""A practice estate on one machine: a local Slack, PagerDuty and the ValueCanvas platform."""
