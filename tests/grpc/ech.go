// A TLS client with Encrypted Client Hello, whose key no server here has.
package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"time"
)

// lengthened puts the length of the bytes before them, as a big-endian number of `size` bytes.
func lengthened(size int, bytes []byte) []byte {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(len(bytes)))
	return append(number[8-size:], bytes...)
}

// A list of one configuration: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.
func echConfigs(publicName string) []byte {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	contents := []byte{7, 0, 0x20} // its number, and the KEM
	contents = append(contents, lengthened(2, key.PublicKey().Bytes())...)
	contents = append(contents, lengthened(2, []byte{0, 1, 0, 1})...)
	contents = append(contents, 64) // maximum length of a name
	contents = append(contents, lengthened(1, []byte(publicName))...)
	contents = append(contents, lengthened(2, nil)...)
	return lengthened(2, append([]byte{0xfe, 0x0d}, lengthened(2, contents)...))
}

// ech connects with `outer` as the visible name and `inner` as the encrypted one, and prints what
// the server makes of it: a server without the key answers with a certificate for `outer`.
func ech(address, outer, inner, ca string) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{
		ServerName:                     inner,
		RootCAs:                        roots,
		MinVersion:                     tls.VersionTLS13,
		EncryptedClientHelloConfigList: echConfigs(outer),
	})
	var rejected *tls.ECHRejectionError
	switch {
	case err == nil:
		conn.Close()
		fmt.Println("accepted")
	case errors.As(err, &rejected):
		fmt.Println("rejected, with a valid certificate for", outer)
	default:
		fmt.Println("failed:", err)
	}
}
