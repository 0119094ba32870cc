package widget

import (
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Gauge draws a fraction of 1 as a bar of w whole cells: heavy for what is
// there, thin for what is not, so that it reads without colour.
func Gauge(th *theme.Theme, w int, fraction float64, look, background theme.Style) string {
	if w <= 0 {
		return ""
	}
	n := int(fraction*float64(w) + 0.5)
	if fraction > 0 && n == 0 {
		n = 1
	}
	if fraction < 1 && n >= w && w > 1 {
		n = w - 1 // full only when it is
	}
	n = max(0, min(n, w))
	return look.On(background).Render(strings.Repeat(theme.BarFull, n)) +
		th.Faint.On(background).Render(strings.Repeat(theme.BarEmpty, w-n))
}

// NoGauge is the place of a gauge whose number is not known.
func NoGauge(th *theme.Theme, w int, background theme.Style) string {
	if w <= 0 {
		return ""
	}
	return th.Faint.On(background).Render(strings.Repeat(theme.BarGap, w))
}

// LoadLook is the look of a gauge that shows how full something is.
func LoadLook(th *theme.Theme, fraction float64) theme.Style {
	switch {
	case fraction >= 0.95:
		return th.Bad
	case fraction >= 0.85:
		return th.Warn
	}
	return th.Accent
}

// Spark draws the newest w values as heights between 0 and top; without a top
// the highest value is one.
func Spark(values []float64, w int, top float64) string {
	if w <= 0 {
		return ""
	}
	if len(values) > w {
		values = values[len(values)-w:]
	}
	if top <= 0 {
		for _, v := range values {
			top = max(top, v)
		}
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 {
			i = int(v / top * float64(len(theme.Sparks)))
		}
		b.WriteString(theme.Sparks[max(0, min(i, len(theme.Sparks)-1))])
	}
	return text.Fit(b.String(), w)
}

// Chart draws the newest w values as columns over h lines, the highest line
// first; top is the value of a full column, or 0 for the highest value.
func Chart(values []float64, w, h int, top float64) []string {
	if w <= 0 || h <= 0 {
		return nil
	}
	if len(values) > w {
		values = values[len(values)-w:]
	}
	if top <= 0 {
		for _, v := range values {
			top = max(top, v)
		}
	}
	steps := len(theme.Sparks)
	lines := make([]string, h)
	for row := range h {
		var b strings.Builder
		floor := (h - 1 - row) * steps
		for _, v := range values {
			level := 0
			if top > 0 && v > 0 {
				level = max(1, int(v/top*float64(h*steps)+0.5))
			}
			switch n := level - floor; {
			case n <= 0:
				b.WriteByte(' ')
			case n > steps: // under the top: a light fill
				b.WriteString(theme.Fill)
			default:
				b.WriteString(theme.Sparks[n-1])
			}
		}
		lines[row] = text.Fit(b.String(), w)
	}
	return lines
}
