"""What this machine lets the tool do: `compress doctor`; how much an installation downloads, before there is one."""
