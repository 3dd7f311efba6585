// SPDX-License-Identifier: Apache-2.0

// What every client must get right, by go-redis: the scenario of scenario.js.
//
//	go_redis plain|cluster PORT,PORT,PORT
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	timeout = 20 * time.Second // that one operation may need while a node is dead
	some    = 1000             // keys of a pipeline
)

var background = context.Background()

func check(holds bool, what string, arguments ...any) {
	if holds {
		return
	}
	fmt.Fprintf(os.Stderr, what+"\n", arguments...)
	os.Exit(1)
}

func wants[T any](wanted T) func(got T, err error) {
	return func(got T, err error) {
		check(err == nil, "%v", err)
		check(reflect.DeepEqual(got, wanted), "%v instead of %v", got, wanted)
	}
}

func connect(mode, port string) redis.UniversalClient {
	options := redis.UniversalOptions{
		Addrs:         []string{"127.0.0.1:" + port},
		IsClusterMode: mode == "cluster",
		Protocol:      3,
	}
	return redis.NewUniversalClient(&options)
}

func values(one, two redis.UniversalClient) {
	_, err := one.Get(background, "go:none").Result()
	check(errors.Is(err, redis.Nil), "no value gives %v", err)
	wants("OK")(one.Set(background, "go:a", "1", 0).Result())
	wants("1")(two.Get(background, "go:a").Result())
	wants(int64(1))(one.Del(background, "go:a").Result())
	wants(int64(0))(two.Del(background, "go:a").Result())
	wants("OK")(one.MSet(background, "{m}:1", "one", "{m}:2", "zwei", "{m}:3", "").Result())
	wants([]any{"one", "zwei", "", nil})(
		two.MGet(background, "{m}:1", "{m}:2", "{m}:3", "{m}:none").Result())
	everything := make([]byte, 4096)
	for i := range everything {
		everything[i] = byte(i * 7)
	}
	name := string(everything[:256])
	wants("OK")(one.Set(background, name, everything, 0).Result())
	wants(everything)(two.Get(background, name).Bytes())
	large := bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz\r\n"), 1024*1024/28)
	wants("OK")(one.Set(background, "go:large", large, 0).Result())
	wants(large)(two.Get(background, "go:large").Bytes())
}

func expiry(one, two redis.UniversalClient) {
	wants("OK")(one.Set(background, "go:brief", "x", 100*time.Second).Result())
	left, err := two.TTL(background, "go:brief").Result()
	check(err == nil && left > 90*time.Second && left <= 100*time.Second, "%v left, %v", left, err)
	wants(true)(two.PExpire(background, "go:brief", 30*time.Millisecond).Result())
	for end := time.Now().Add(5 * time.Second); one.Get(background, "go:brief").Err() == nil; {
		check(time.Now().Before(end), "it never expires")
	}
	wants(false)(one.Expire(background, "go:brief", time.Second).Result())
}

func scanned(client redis.UniversalClient) []string {
	found := map[string]bool{}
	one := func(client redis.Cmdable) error {
		i := client.Scan(background, 0, "go:p:*", 37).Iterator()
		for i.Next(background) {
			found[i.Val()] = true
		}
		return i.Err()
	}
	var err error
	if cluster, ok := client.(*redis.ClusterClient); ok {
		for _, node := range nodes(cluster) {
			err = errors.Join(err, one(node))
		}
	} else {
		err = one(client)
	}
	check(err == nil, "%v", err)
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// The client walks over its nodes at once; they are wanted one by one.
func nodes(cluster *redis.ClusterClient) []*redis.Client {
	all := make(chan *redis.Client, 100)
	err := cluster.ForEachMaster(background, func(_ context.Context, node *redis.Client) error {
		all <- node
		return nil
	})
	check(err == nil, "%v", err)
	close(all)
	list := []*redis.Client{}
	for node := range all {
		list = append(list, node)
	}
	return list
}

func pipelines(one, two redis.UniversalClient) {
	names := []string{}
	for i := range some {
		names = append(names, fmt.Sprintf("go:p:%03d", i))
	}
	_, err := one.Pipelined(background, func(p redis.Pipeliner) error {
		for i, name := range names {
			p.Set(background, name, i, 0)
		}
		return nil
	})
	check(err == nil, "%v", err)
	read, err := two.Pipelined(background, func(p redis.Pipeliner) error {
		for _, name := range names {
			p.Get(background, name)
		}
		return nil
	})
	check(err == nil, "%v", err)
	for i, got := range read {
		wants(fmt.Sprint(i))(got.(*redis.StringCmd).Result())
	}
	wants(names)(scanned(one), nil)
	wants(names)(scanned(two), nil)
	_, err = two.Pipelined(background, func(p redis.Pipeliner) error {
		for _, name := range names {
			p.Del(background, name)
		}
		return nil
	})
	check(err == nil, "%v", err)
	wants([]string{})(scanned(one), nil)
}

func refusals(one redis.UniversalClient) {
	err := one.Do(background, "GET", "go:a", "b").Err()
	check(err != nil && strings.Contains(err.Error(), "wrong number of arguments"), "%v", err)
	err = one.Get(background, "go:none").Err()
	check(errors.Is(err, redis.Nil), "and the connection goes on: %v", err)
}

// Writes that were in flight when a node died may fail, and are done again. What was acknowledged
// must be read.
func trouble(one redis.UniversalClient) {
	var isOver atomic.Bool
	go func() {
		_, _ = io.ReadAll(os.Stdin)
		isOver.Store(true)
	}()
	fmt.Println("running")
	for i, left := 0, 300; left > 0; i++ {
		name := fmt.Sprintf("go:t:%d", i%100)
		patient, cancel := context.WithTimeout(background, timeout)
		err := one.Set(patient, name, i, 0).Err()
		for got := ""; err == nil && got == ""; {
			if isOver.Load() {
				left--
			}
			got, err = one.Get(patient, name).Result()
			check(err != nil || got == fmt.Sprint(i), "%s instead of %d", got, i)
		}
		check(patient.Err() == nil, "no answer: %v", err)
		cancel()
		if err != nil {
			fmt.Println("failed", err)
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func main() {
	ports := strings.Split(os.Args[2], ",")
	one := connect(os.Args[1], ports[0])
	two := connect(os.Args[1], ports[1])
	values(one, two)
	expiry(one, two)
	pipelines(one, two)
	refusals(one)
	trouble(one)
	fmt.Println("done")
}
