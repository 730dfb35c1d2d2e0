"""Gradients of many samples at once: vmapped, looped, or layer by layer."""
