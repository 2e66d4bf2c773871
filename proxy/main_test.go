package proxy_test

import (
	"flag"
	"testing"
)

// atOnce is how many tests run at once unless -parallel says otherwise: they wait
// more than they work.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	m.Run()
}
