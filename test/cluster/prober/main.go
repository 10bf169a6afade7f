// Command prober is the pod by which the tests of test/cluster look at a cluster from inside.
//
//	prober serve              answers on :8080 with its host name
//	prober get URL            prints the answer of a pod or Service
//	prober kubelet PATH...    asks the kubelet at $NODE_IP as an agent does, by
//	                          the service account's token and authority, and
//	                          prints PATH and status
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount"

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want serve, get or kubelet")
	}
	switch args[0] {
	case "serve":
		return serve()
	case "get":
		return get(args[1])
	case "kubelet":
		return askKubelet(args[1:])
	}
	return fmt.Errorf("do not know %q", args[0])
}

func serve() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, host) })
	return http.ListenAndServe(":8080", nil)
}

func get(url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, io.LimitReader(response.Body, 1<<10))
	return err
}

func askKubelet(paths []string) error {
	token, err := os.ReadFile(filepath.Join(account, "token"))
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, path := range paths {
		request, err := http.NewRequest(http.MethodGet, "https://"+os.Getenv("NODE_IP")+":10250"+path, nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+string(token))
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		fmt.Println(path, response.StatusCode)
	}
	return nil
}
