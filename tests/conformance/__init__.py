"""RFC 6455 and RFC 7692, rule by rule, over real connections."""
