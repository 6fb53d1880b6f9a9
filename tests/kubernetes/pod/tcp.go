package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"time"
)

func serveTCP() {
	for address, talk := range map[string]func(net.Conn){
		":9000": echo,
		":9001": sink,
		":9002": stuck,
		":9003": afterEOF,
		":9004": greet,
		":9005": reset,
	} {
		go serve(address, talk)
	}
}

func echo(c net.Conn)  { io.Copy(c, c) }
func sink(c net.Conn)  { io.Copy(io.Discard, c) }
func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

// Never reads, and ends after a time that is longer than every test: the runtime
// notices only then that the other side is gone. The kernel keeps a megabyte for
// each until then, and drops everyone's packets when it has no more (tcp_mem).
func stuck(c net.Conn) {
	c.(*net.TCPConn).SetReadBuffer(256 << 10)
	time.Sleep(time.Minute)
}

func afterEOF(c net.Conn) {
	n, _ := io.Copy(io.Discard, c)
	fmt.Fprintf(c, "got %d\n", n)
}

func greet(c net.Conn) {
	fmt.Fprintf(c, "220 %s hello\r\n", podName)
	io.Copy(io.Discard, c)
}

// Answers every request with its own head, byte for byte as it came. Knows
// nothing of bodies: for requests without one.
func rawHead(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		var head []byte
		for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			head = append(head, b)
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
			len(head), head)
	}
}
