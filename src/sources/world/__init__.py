"""The simulated company, whose truth is known: short modules, each as its paper, and one writer.

`parameters` says what can be turned, `latent` what every customer is like, `writer` puts all of it on disk, `source`
opens it again without its truth.
"""
