package rendezvous

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// startProxy is an HTTP proxy that connects to one server, whatever it is asked
// for. It returns its address and what it was asked first.
func startProxy(t *testing.T, server string) (string, func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	asked := make(chan string, 10)
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { tunnel(conn, server, asked) })
		}
	})
	t.Cleanup(func() { listener.Close(); running.Wait() })
	var first string
	return listener.Addr().String(), func() string {
		if first == "" {
			first = <-asked
		}
		return first
	}
}

func tunnel(client net.Conn, server string, asked chan<- string) {
	defer client.Close()
	request, err := http.ReadRequest(bufio.NewReader(client))
	if err != nil {
		return
	}
	asked <- fmt.Sprintf("%s %s %s", request.Method, request.Host, request.Header.Get("Proxy-Authorization"))
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(client, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
	go func() {
		io.Copy(conn, client)
		conn.Close()
	}()
	io.Copy(client, conn)
}
