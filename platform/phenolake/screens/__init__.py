"""What a screen is: its folder, `screen.yaml`, plates and plate map."""
