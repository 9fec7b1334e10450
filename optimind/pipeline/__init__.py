"""The recognition loop: newest frame, detection, tracking, identification, events, delivery."""
