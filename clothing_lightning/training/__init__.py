"""What happens around the steps: schedules, callbacks, interruption, memory."""
