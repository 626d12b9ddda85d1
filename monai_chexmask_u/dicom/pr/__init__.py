"""The presentation state: contours and uncertainty drawn over the image, with the gray values as they are shown."""
