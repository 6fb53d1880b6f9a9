package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", identify)
	mux.HandleFunc("/seen/", note)
	mux.HandleFunc("/bytes", sendBytes)
	mux.HandleFunc("/upload", hashBody)
	mux.HandleFunc("/sink", swallow)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/sse", events)
	mux.HandleFunc("/ws", webSocketEcho)
	mux.HandleFunc("/trailers", trailers)
	mux.HandleFunc("/status", status)
	mux.HandleFunc("/expect", expect)
	mux.HandleFunc("/short", short)
	mux.HandleFunc("/cut", cut)
	return mux
}

func number(r *http.Request, key string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(key))
	return n
}

func identify(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Pod", podName)
	w.Header().Set("X-Proto", r.Proto)
	fmt.Fprintf(w, "pod %s method %s host %s path %s\n", podName, r.Method, r.Host, r.URL.RequestURI())
}

// Logs each request: what was delivered, and how often.
func note(w http.ResponseWriter, r *http.Request) {
	fmt.Println("seen", r.URL.Path)
	identify(w, r)
}

// ?n= bytes, counting 0 to 255 again and again: their hash is easy to know.
func sendBytes(w http.ResponseWriter, r *http.Request) {
	n := number(r, "n")
	w.Header().Set("Content-Length", strconv.Itoa(n))
	block := make([]byte, 65536)
	for i := range block {
		block[i] = byte(i)
	}
	for n > 0 {
		sent, err := w.Write(block[:min(n, len(block))])
		if err != nil {
			return
		}
		n -= sent
	}
}

func hashBody(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	n, err := io.Copy(hash, r.Body)
	fmt.Fprintf(w, "%d %x %v\n", n, hash.Sum(nil), err)
}

func swallow(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "%d %v\n", n, err)
}

func slow(w http.ResponseWriter, r *http.Request) {
	ms := number(r, "ms")
	time.Sleep(time.Duration(ms) * time.Millisecond)
	fmt.Fprintf(w, "slept %d\n", ms)
}

func headers(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Host: %s\n", r.Host)
	r.Header.Write(w)
}

// 10 events, 100 ms apart, each with the time it was sent at.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 10 {
		fmt.Fprintf(w, "data: %d %d\n\n", i, time.Now().UnixNano())
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
	}
}

func webSocketEcho(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func trailers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Sum")
	for i := range 3 {
		fmt.Fprintf(w, "part %d\n", i)
		w.(http.Flusher).Flush()
	}
	w.Header().Set("X-Sum", "3 parts")
}

func status(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(number(r, "code"))
}

// Requests the body (100 Continue, by reading it) unless ?refuse is given.
func expect(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("refuse") {
		w.Header().Set("Connection", "close")
		http.Error(w, "no, thank you", http.StatusExpectationFailed)
		return
	}
	n, err := io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "expect=%q %d %v\n", r.Header.Get("Expect"), n, err)
}

// Announces 1,000 bytes and closes after 100.
func short(w http.ResponseWriter, r *http.Request) {
	hangUpAfter(w, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n%0100d", 0)
}

// Closes in the middle of a chunked answer.
func cut(w http.ResponseWriter, r *http.Request) {
	hangUpAfter(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n%0100d\r\n", 0)
}

func hangUpAfter(w http.ResponseWriter, format string, args ...any) {
	conn, out, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusHTTPVersionNotSupported)
		return
	}
	fmt.Fprintf(out, format, args...)
	out.Flush()
	conn.Close()
}
