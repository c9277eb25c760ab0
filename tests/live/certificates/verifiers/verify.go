// verify.go - what Go's crypto/x509 says of certificates: one case a line on standard input (see
// verifiers.mjs), one verdict a line on standard output.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

func certificates(file string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	rest, err := os.ReadFile(file)
	for err == nil {
		var block *pem.Block
		var one *x509.Certificate
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		one, err = x509.ParseCertificate(block.Bytes)
		all = append(all, one)
	}
	return all, err
}

// Each certificate but the root has to be on no list of its issuer, and there has to be such a list.
func revoked(chain []*x509.Certificate, files []string) error {
	for i := 0; i+1 < len(chain); i++ {
		found := false
		for _, file := range files {
			der, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			list, err := x509.ParseRevocationList(der)
			if err != nil {
				return err
			}
			if list.CheckSignatureFrom(chain[i+1]) != nil {
				continue
			}
			if time.Now().After(list.NextUpdate) {
				return errors.New("the list is old")
			}
			found = true
			for _, one := range list.RevokedCertificates {
				if one.SerialNumber.Cmp(chain[i].SerialNumber) == 0 {
					return errors.New("revoked")
				}
			}
		}
		if !found {
			return errors.New("there is no list of " + chain[i+1].Subject.String())
		}
	}
	return nil
}

func verify(chain, root, lists, name string) error {
	given, err := certificates(chain)
	if err != nil {
		return err
	}
	roots, err := certificates(root)
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if name != "-" {
		options.DNSName = name
	}
	for _, one := range roots {
		options.Roots.AddCert(one)
	}
	for _, one := range given[1:] {
		options.Intermediates.AddCert(one)
	}
	paths, err := given[0].Verify(options)
	if err != nil || lists == "-" {
		return err
	}
	return revoked(paths[0], strings.Split(lists, ","))
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		of := strings.Split(lines.Text(), "\t")
		if err := verify(of[1], of[2], of[3], of[5]); err != nil {
			fmt.Printf("%s\trefused\t%s\n", of[0], strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("%s\tok\t\n", of[0])
		}
	}
}
