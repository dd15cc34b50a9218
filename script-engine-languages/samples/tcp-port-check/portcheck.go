// Checks that a TCP port takes connections, and says how long that took and which addresses were tried.
//
// A connection counts once the other side has shown that it is there: in a sandbox a relay takes every connection at once,
// and breaks it off when it can't reach the host. So this ends its own side and waits for the other one to speak or to end.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

type arguments struct {
	Host           string  `json:"host"`
	Port           int     `json:"port"`
	TimeoutSeconds float64 `json:"timeout_seconds"`
}

type result struct {
	Check        string    `json:"check"`
	Passed       bool      `json:"passed"`
	Message      string    `json:"message"`
	Host         string    `json:"host"`
	Port         int       `json:"port"`
	Addresses    []attempt `json:"addresses"`
	Milliseconds float64   `json:"milliseconds"`
}

type attempt struct {
	Address string `json:"address"`
	Open    bool   `json:"open"`
	Problem string `json:"problem,omitempty"`
}

func main() {
	args, err := readArguments()
	if err != nil {
		finish(result{Message: fmt.Sprintf("the arguments are not usable: %v", err), Host: args.Host, Port: args.Port})
	}
	finish(check(args))
}

func readArguments() (arguments, error) {
	args := arguments{Host: "localhost", Port: 80, TimeoutSeconds: 5}
	path := os.Getenv("SCRIPT_ARGS_FILE")
	if path == "" {
		path = "/scripts/args.json"
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return args, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &args)
	}
	if err == nil && (args.Port < 1 || args.Port > 65535) {
		err = fmt.Errorf("port %d is not between 1 and 65535", args.Port)
	}
	return args, err
}

// check tries all addresses of the host, one after the other, until one takes a connection.
func check(args arguments) result {
	found := result{Host: args.Host, Port: args.Port}
	began := time.Now()
	timeout := time.Duration(args.TimeoutSeconds * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	addresses, err := net.DefaultResolver.LookupHost(ctx, args.Host)
	if err != nil {
		found.Message = fmt.Sprintf("%s can't be resolved: %s", args.Host, inWords(err))
		return found
	}
	var dialer net.Dialer
	for _, address := range addresses {
		target := net.JoinHostPort(address, strconv.Itoa(args.Port))
		connection, err := dialer.DialContext(ctx, "tcp", target)
		found.Milliseconds = float64(time.Since(began).Microseconds()) / 1000
		if err == nil {
			err = confirm(ctx, connection.(*net.TCPConn), args.Host)
		}
		if err != nil {
			found.Addresses = append(found.Addresses, attempt{Address: target, Problem: inWords(err)})
			continue
		}
		found.Addresses = append(found.Addresses, attempt{Address: target, Open: true})
		found.Passed = true
		break
	}
	if found.Passed {
		found.Message = fmt.Sprintf("%s:%d takes connections (%.1f ms)", args.Host, args.Port, found.Milliseconds)
	} else {
		last := found.Addresses[len(found.Addresses)-1]
		found.Message = fmt.Sprintf("%s:%d takes no connections: %s", args.Host, args.Port, last.Problem)
	}
	return found
}

// confirm closes the connection, once it is known whether it led to the host.
func confirm(ctx context.Context, connection *net.TCPConn, host string) error {
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return err
	}
	if err := connection.CloseWrite(); err != nil {
		return err
	}
	_, err := connection.Read(make([]byte, 1))
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	// Silence tells nothing of a relay, which may still be waiting for the host. Anybody else has taken the connection.
	if errors.Is(err, os.ErrDeadlineExceeded) && !isRelay(connection, host) {
		return nil
	}
	return err
}

// isRelay says whether a connection to another host ends on this machine.
func isRelay(connection *net.TCPConn, host string) bool {
	local, remote := connection.LocalAddr().(*net.TCPAddr), connection.RemoteAddr().(*net.TCPAddr)
	named := net.ParseIP(host)
	return local.IP.Equal(remote.IP) && host != "localhost" && (named == nil || !named.IsLoopback())
}

// inWords tells the cause of a network error without the layers above it.
func inWords(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer within the time-out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was broken off"
	case errors.As(err, &dns):
		return dns.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer within the time-out"
	}
	return err.Error()
}

// finish says how it went: a line for people, a structured record, a JSON result, an exit code.
func finish(found result) {
	found.Check = "tcp-port-check"
	if found.Addresses == nil {
		found.Addresses = []attempt{}
	}
	text, err := json.Marshal(found)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s\n@@%s\n", found.Message, text)
	if path := os.Getenv("SCRIPT_RESULT"); path != "" {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if !found.Passed {
		os.Exit(1)
	}
	os.Exit(0)
}
