package transport

import (
	"bytes"
	"slices"
)

// mostNoise bounds the lines that are known as noise.
const mostNoise = 32

// learnNoise keeps what a login shell complains of before it runs anything, of a
// locale that is not there perhaps: it is none of the command's words.
func (c *Client) learnNoise(stderr []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noise = nil
	for line := range bytes.Lines(stderr) {
		if line = bytes.TrimSpace(line); len(line) > 0 && len(c.noise) < mostNoise {
			c.noise = append(c.noise, line)
		}
	}
}

// news is a command's standard error without that.
func (c *Client) news(stderr []byte) []byte {
	c.mu.Lock()
	noise := c.noise
	c.mu.Unlock()
	if len(noise) == 0 {
		return stderr
	}
	var out []byte
	for line := range bytes.Lines(stderr) {
		if !slices.ContainsFunc(noise, func(n []byte) bool { return bytes.Equal(n, bytes.TrimSpace(line)) }) {
			out = append(out, line...)
		}
	}
	return out
}
