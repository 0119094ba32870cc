package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// The shape of a guest's ledger, as its init writes it.
const (
	ledgerBlock = 16 << 10
	ledgerSlots = 64
	// ledgerBeats is how many beats there are to a block.
	ledgerBeats = 4
)

// LedgerFile is the ledger's name on a guest's first disk.
const LedgerFile = "/ledger"

// CheckLedger proves that a guest's ledger holds every block that its last beat
// tells of, whole, and none from before that. The image may be of a guest that
// runs, if its copy was begun after the beats were read: what the guest wrote
// since may be there, in part.
func CheckLedger(text string, beats []Beat) (blocks int, err error) {
	if len(beats) == 0 {
		return 0, nil
	}
	first, last := beats[0].Counter, beats[len(beats)-1].Counter
	for b := max((first+ledgerBeats-1)/ledgerBeats, last/ledgerBeats-ledgerSlots+1); b <= last/ledgerBeats; b++ {
		if b == 0 {
			continue
		}
		if err := checkBlock(text, b); err != nil {
			return blocks, err
		}
		blocks++
	}
	return blocks, nil
}

// checkBlock looks at the slot of block b: all of it is b, but for what a later
// block has overwritten.
func checkBlock(text string, b int) error {
	from := b % ledgerSlots * ledgerBlock
	if from+ledgerBlock > len(text) {
		return fmt.Errorf("block %d of the ledger is missing: the file has %d bytes", b, len(text))
	}
	slot := text[from : from+ledgerBlock]
	whole := strconv.Itoa(b) + "\n"
	if slot == strings.Repeat(whole, ledgerBlock/len(whole)+1)[:ledgerBlock] {
		return nil
	}
	newer := false
	lines := strings.Split(slot, "\n")
	// The last line of a slot is cut wherever the block ends.
	for _, l := range lines[:len(lines)-1] {
		n, err := strconv.Atoi(l)
		switch {
		case err == nil && n == b:
		case err == nil && n > b && n%ledgerSlots == b%ledgerSlots:
			newer = true
		case newer: // where old and new meet, a line may be of both
		default:
			return fmt.Errorf("block %d of the ledger holds %.20q", b, l)
		}
	}
	if !newer {
		return fmt.Errorf("block %d of the ledger is not whole", b)
	}
	return nil
}
