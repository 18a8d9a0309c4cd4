"""What both ends of the wire agree on: endpoints, field limits, messages and the template grammar."""
