#!lua flags=no-writes
-- Tells the state of a task.
-- KEYS 1 state (hash)
-- ARGV 1 frame as far as its fields
-- Returns the frame, empty where there is no such task
-- parts: clock task
return task_frame(KEYS[1], ARGV[1])
