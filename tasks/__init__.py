"""The retryable steps that flows compose. Each says its retry policy and can be done twice."""
