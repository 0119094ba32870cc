package config

import (
	"strings"
	"testing"
)

func TestDeep(t *testing.T) {
	for _, s := range []string{"a=" + strings.Repeat("[", maxSize-10), "a=" + strings.Repeat("{a=", maxSize/3-10), "a=" + strings.Repeat("[", 200000) + strings.Repeat("]", 200000)} {
		_, err := parse("f", s, "/h")
		if err == nil {
			t.Error("nil")
		} else {
			t.Log(len(err.Error()))
		}
	}
}
