//go:build lab

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"horcrux/engine/model"
)

// childOrder is the variable that makes the test's own program a copying
// process, to be killed.
const childOrder = "HORCRUX_STORE_CHILD"

type order struct {
	Config   string
	Src, Dst model.NodeName
	Plan     Plan
}

func child(text string) int {
	if err := runChild(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runChild(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	f, err := openFleet(o.Config)
	if err != nil {
		return err
	}
	defer f.Close()
	src, _ := f.Node(o.Src)
	dst, _ := f.Node(o.Dst)
	ctx := context.Background()
	c, err := Open(ctx, src, dst, o.Plan)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Run(ctx, nil)
}
