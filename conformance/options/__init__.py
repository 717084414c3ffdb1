"""What a run is asked to do; validated here, once, for every face."""
