// Command guest is what runs in a test's containers:
//
//	guest exit 200ms 3        sleeps, then exits with that code
//	guest eat                 takes memory until it is killed
//	guest children 3 2s       has that many children, one after the other, eat
//	                          until they are killed, sleeps, exits with 0
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(125)
	}
}

func run(args []string) error {
	args = append(args, "", "", "")
	switch args[0] {
	case "exit":
		code, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		if err := sleep(args[1]); err != nil {
			return err
		}
		os.Exit(code)
	case "eat":
		eat()
	case "children":
		count, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		for range count {
			if err := exec.Command("/proc/self/exe", "eat").Run(); err == nil {
				return fmt.Errorf("a child that eats was not killed")
			}
		}
		return sleep(args[2])
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
	return nil
}

func sleep(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil {
		time.Sleep(d)
	}
	return err
}

var eaten [][]byte

// eat never returns.
func eat() {
	// A main process that is killed should not be spared for a parent.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	for {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		eaten = append(eaten, piece)
	}
}
