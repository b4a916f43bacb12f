"""What Redis remembers: who is there, instances, tasks, devices, figures."""
