"""What operators ask of the whole fleet and have it do, from whichever replica they happen to talk to."""
