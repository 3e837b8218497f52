package ovsdb

// Memory adds the amount of memory/show: how many cells, columns of rows, the copy of the database has.
func (c *Client) Memory(add func(name string, n uint64)) {
	l, _, _ := c.current()
	if l == nil {
		return
	}
	cells := 0
	for name := range monitored() {
		if t := l.replica.cache.Table(name); t != nil {
			cells += t.Len() * len(l.schema[name])
		}
	}
	add("idl-cells-"+database, uint64(cells))
}
