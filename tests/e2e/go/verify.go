// Checks a log with the code of Go's checksum database (golang.org/x/mod/sumdb): the note, every tile and every leaf, and that the
// log continues a checkpoint seen before.
//
//	verify DIR VKEY [SEEN]
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// files serves the tiles of a directory. Go names the tile's height in the path; the directory does not.
type files struct{ dir string }

func (f files) Height() int { return 8 }

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(f.dir, strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

func open(file, vkey string) tlog.Tree {
	data, err := os.ReadFile(file)
	check("checkpoint", err)
	verifier, err := note.NewVerifier(vkey)
	check("key", err)
	signed, err := note.Open(data, note.VerifierList(verifier))
	check("checkpoint", err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		fail("checkpoint", "not one of "+verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check("checkpoint", err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check("checkpoint", err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

func main() {
	dir, vkey := os.Args[1], os.Args[2]
	tree := open(filepath.Join(dir, "checkpoint"), vkey)
	reader := tlog.TileHashReader(tree, files{dir})
	if len(os.Args) > 3 {
		seen := open(os.Args[3], vkey)
		if seen.N > tree.N {
			fail("rolled back", fmt.Sprintf("%d events, %d seen before", tree.N, seen.N))
		}
		proof, err := tlog.ProveTree(tree.N, seen.N, reader)
		check("consistency", err)
		check("consistency", tlog.CheckTree(proof, tree.N, tree.Hash, seen.N, seen.Hash))
	}
	// What the leaves give counts: TileHashReader of v0.7.0 does not check each tile against its parent.
	var stored []tlog.Hash
	memory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		var indexes []int64
		for i := int64(0); i < width; i++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+i))
		}
		hashes, err := reader.ReadHashes(indexes)
		check(fmt.Sprintf("tile of events %d to %d", first, first+width-1), err)
		bundle := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(width)}
		path := strings.Replace(strings.Replace(bundle.Path(), "tile/8/", "tile/", 1), "/data/", "/entries/", 1)
		data, err := os.ReadFile(filepath.Join(dir, path))
		check("bundle", err)
		for i := int64(0); i < width; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				fail("leaf", fmt.Sprintf("%d is cut", first+i))
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != hashes[i] {
				fail("leaf", fmt.Sprintf("%d was altered, or its hash in the tile", first+i))
			}
			hashes, err := tlog.StoredHashes(first+i, data[2:end], memory)
			check("leaf", err)
			stored = append(stored, hashes...)
			data = data[end:]
		}
		if len(data) > 0 {
			fail("bundle", path+" is too long")
		}
	}
	root, err := tlog.TreeHash(tree.N, memory)
	check("tree", err)
	if root != tree.Hash {
		fail("tree", "the leaves do not give the signed root")
	}
	fmt.Printf("proven %d\n", tree.N)
}

func check(what string, err error) {
	if err != nil {
		fail(what, err.Error())
	}
}

func fail(what, why string) {
	fmt.Printf("%s: %s\n", what, why)
	os.Exit(1)
}
