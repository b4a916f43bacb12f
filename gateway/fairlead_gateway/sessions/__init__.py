"""What clients mean: their actions, who may do them, and what is answered."""
