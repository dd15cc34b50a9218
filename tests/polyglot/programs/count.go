package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type arguments struct {
	Words []string `json:"words"`
}

type result struct {
	Total int            `json:"total"`
	Words map[string]int `json:"words"`
}

func main() {
	if err := count(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func count() error {
	text, err := os.ReadFile(os.Getenv("SCRIPT_ARGS_FILE"))
	if err != nil {
		return err
	}
	var given arguments
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	counts := result{Total: len(given.Words), Words: map[string]int{}}
	for _, word := range given.Words {
		counts.Words[word]++
	}
	// A map is encoded in the order of its keys.
	return json.NewEncoder(os.Stdout).Encode(counts)
}
