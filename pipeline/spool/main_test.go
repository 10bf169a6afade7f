package spool

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes the test program append entries to the directory it names
// until it is killed.
const childEnv = "CROWSNEST_SPOOL_TEST_DIRECTORY"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		appendForever(path)
	}
	goleak.VerifyTestMain(m)
}
