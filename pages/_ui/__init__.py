"""What the pages share: routes, the state in the address, cached reading, widgets and views."""
