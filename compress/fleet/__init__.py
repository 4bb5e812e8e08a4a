"""Many trainings, and many images, over the processes of one machine or of many, on Ray (extra `fleet`)."""
