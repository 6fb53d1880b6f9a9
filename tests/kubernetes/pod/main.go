// The pod behind the services of the lab: HTTP/1.1 and h2c on 8080, the raw
// request head on 8081, gRPC health on 9090, and on 9000 and above one port for
// each way a TCP server can behave.
//
//	pod                  serve all of that
//	pod get URL [HOST]   one GET, as a client in the cluster would send it
//
// SPDX-License-Identifier: MIT
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

var podName, _ = os.Hostname()

func main() {
	if len(os.Args) > 2 && os.Args[1] == "get" {
		get(os.Args[2], strings.Join(os.Args[3:], ""))
		return
	}
	serveTCP()
	go serve(":8081", rawHead)
	go func() { log.Fatal(plainServer(":9090", http.HandlerFunc(grpcHealth)).ListenAndServe()) }()
	log.Fatal(plainServer(":8080", pages()).ListenAndServe())
}

// A server for HTTP/1.1 and for HTTP/2 by prior knowledge.
func plainServer(address string, handler http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Addr: address, Handler: handler, Protocols: &protocols}
}

func serve(address string, talk func(net.Conn)) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer conn.Close()
			talk(conn)
		}()
	}
}

func get(url, host string) {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Host = host // empty: that of the URL
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	io.Copy(os.Stdout, response.Body)
}
