package openflow

const netronome = 0x0000154d // experimenter of the selection method property

// Bucket properties of 1.5.
const (
	bucketWeight = iota
	bucketWatchPort
	bucketWatchGroup
)

func validGroupType(t uint8) error {
	if t > GroupTypeFastFailover {
		return bad(GroupModBadType, "group type %d", t)
	}
	return nil
}

func decodeGroupMod11(d *decoder) (Message, error) {
	b := d.body
	m := &GroupMod{Command: GroupCommand(be16(b)), Type: b[2], ID: be32(b[4:]), CommandBucket: BucketAll}
	if m.Command > GroupDelete && m.Command != GroupAddOrModify {
		return nil, bad(GroupModBadCommand, "group command %d", m.Command)
	}
	var err error
	if m.Buckets, err = d.buckets11(b[8:]); err != nil {
		return nil, err
	}
	return m, m.check()
}

func decodeGroupMod15(d *decoder) (Message, error) {
	b := d.body
	m := &GroupMod{Command: GroupCommand(be16(b)), Type: b[2], ID: be32(b[4:]), CommandBucket: be32(b[12:])}
	ofBucket := m.Command == GroupInsertBucket || m.Command == GroupRemoveBucket
	switch {
	case ofBucket == (m.CommandBucket == BucketAll) && m.Command != GroupRemoveBucket:
		return nil, bad(GroupModBadBucket, "bucket 0x%x in a group command", m.CommandBucket)
	case !ofBucket && m.Command > GroupDelete && m.Command != GroupAddOrModify:
		return nil, bad(GroupModBadCommand, "group command %d", m.Command)
	}
	n := int(be16(b[8:]))
	if n > len(b)-16 || n%8 != 0 {
		return nil, bad(BadLen, "%d bytes of buckets in %d", n, len(b)-16)
	}
	var err error
	if m.Buckets, err = d.buckets15(b[16 : 16+n]); err != nil {
		return nil, err
	}
	if m.Selection, err = d.selection(b[16+n:]); err != nil {
		return nil, err
	}
	return m, m.check()
}

// check finds what OVS refuses before it looks at its groups.
func (m *GroupMod) check() error {
	if err := validGroupType(m.Type); err != nil {
		return err
	}
	if m.ID > GroupMax && m.Command != GroupDelete {
		return bad(GroupModInvalidGroup, "group 0x%x", m.ID)
	}
	if m.Type == GroupTypeIndirect && len(m.Buckets) != 1 && (m.Command == GroupAdd || m.Command == GroupModify || m.Command == GroupAddOrModify) {
		return bad(GroupModInvalidGroup, "indirect group with %d buckets", len(m.Buckets))
	}
	if m.Command == GroupDelete && len(m.Buckets) > 0 {
		return bad(GroupModInvalidGroup, "buckets in a group deletion")
	}
	seen := make(map[uint32]bool, len(m.Buckets))
	for _, b := range m.Buckets {
		switch {
		case b.Weight != 0 && m.Type != GroupTypeSelect && m.Command != GroupInsertBucket:
			return bad(GroupModInvalidGroup, "weight in a group that does not select")
		case (m.Type == GroupTypeAll || m.Type == GroupTypeIndirect) && (b.WatchPort != PortAny || b.WatchGroup != GroupAny):
			return bad(GroupModWatchUnsupported, "bucket that watches in a group of type %d", m.Type)
		case m.Type == GroupTypeFastFailover && b.WatchPort == PortAny && b.WatchGroup == GroupAny:
			return bad(GroupModInvalidGroup, "fast failover bucket that watches nothing")
		case b.ID > BucketMax && b.ID != BucketAll:
			return bad(GroupModBadBucket, "bucket id 0x%x", b.ID)
		case b.ID != BucketAll && seen[b.ID]:
			return bad(GroupModBadBucket, "bucket id %d twice", b.ID)
		}
		seen[b.ID] = true
	}
	return nil
}

// BucketMax is the highest id of a bucket.
const BucketMax uint32 = 0xffffff00

func (d *decoder) buckets11(b []byte) ([]Bucket, error) {
	var out []Bucket
	for len(b) > 0 {
		if len(b) < 16 {
			return nil, bad(GroupModBadBucket, "bucket of %d bytes", len(b))
		}
		n := int(be16(b))
		if n < 16 || n > len(b) || n%8 != 0 {
			return nil, bad(GroupModBadBucket, "bucket length %d in %d bytes", n, len(b))
		}
		k := Bucket{Weight: be16(b[2:]), WatchPort: PortNo(be32(b[4:])), WatchGroup: be32(b[8:]), ID: uint32(len(out))}
		if !validPort(k.WatchPort) {
			return nil, bad(GroupModBadWatch, "watch_port 0x%x", uint32(k.WatchPort))
		}
		var err error
		if k.Actions, err = d.loneActions(b[16:n]); err != nil {
			return nil, err
		}
		out, b = append(out, k), b[n:]
	}
	return out, nil
}

func (d *decoder) buckets15(b []byte) ([]Bucket, error) {
	var out []Bucket
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, bad(GroupModBadBucket, "bucket of %d bytes", len(b))
		}
		n, actions := int(be16(b)), int(be16(b[2:]))
		if n < 8 || n > len(b) || n%8 != 0 || actions > n-8 || actions%8 != 0 {
			return nil, bad(GroupModBadBucket, "bucket length %d with %d bytes of actions", n, actions)
		}
		k := Bucket{ID: be32(b[4:]), WatchPort: PortAny, WatchGroup: GroupAny}
		var err error
		if k.Actions, err = d.loneActions(b[8 : 8+actions]); err != nil {
			return nil, err
		}
		err = eachProperty(b[8+actions:n], func(typ uint16, prop []byte) error {
			if len(prop) != 8 {
				return bad(PropertyBadLen, "bucket property of %d bytes", len(prop))
			}
			switch typ {
			case bucketWeight:
				k.Weight = be16(prop[4:])
			case bucketWatchPort:
				if k.WatchPort = PortNo(be32(prop[4:])); !validPort(k.WatchPort) {
					return bad(GroupModBadWatch, "watch_port 0x%x", uint32(k.WatchPort))
				}
			case bucketWatchGroup:
				k.WatchGroup = be32(prop[4:])
			default:
				return bad(PropertyBadType, "bucket property %d", typ)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out, b = append(out, k), b[n:]
	}
	return out, nil
}

// selection reads the properties of a group: the selection method.
func (d *decoder) selection(b []byte) (s Selection, err error) {
	err = eachProperty(b, func(typ uint16, prop []byte) error {
		switch {
		case typ != 0xffff:
			return bad(PropertyBadType, "group property %d", typ)
		case len(prop) < 12:
			return bad(PropertyBadLen, "experimenter property of %d bytes", len(prop))
		case be32(prop[4:]) != netronome:
			return bad(PropertyBadExperimenter, "group property of experimenter 0x%08x", be32(prop[4:]))
		case be32(prop[8:]) != 1:
			return bad(PropertyBadExpType, "group property %d of Netronome", be32(prop[8:]))
		case len(prop) < 40:
			return bad(PropertyBadLen, "selection method of %d bytes", len(prop))
		}
		s.Method, s.Param = cstring(prop[16:32]), be64(prop[32:])
		if s.Method != "hash" && s.Method != "dp_hash" {
			return bad(PropertyBadValue, "selection method %q", s.Method)
		}
		for b := prop[40:]; len(b) > 0; {
			f, rest, err := d.hashField(b)
			if err != nil {
				return err
			}
			s.Fields, b = append(s.Fields, f), rest
		}
		if s.Method == "dp_hash" && len(s.Fields) > 0 {
			return bad(PropertyBadValue, "dp_hash with fields")
		}
		return nil
	})
	return s, err
}

func (d *decoder) hashField(b []byte) (f HashField, rest []byte, err error) {
	h, err := pullOXM(b)
	if err != nil {
		return f, nil, err
	}
	id, n, err := d.st.field(h)
	if err != nil {
		return f, nil, err
	}
	b = b[h.header:]
	if h.hasMask || h.payload != n || len(b) < n {
		return f, nil, bad(MatchBadLen, "hash field %v of %d bytes", id, h.payload)
	}
	if !id.Info().Maskable && !allOnes(b[:n]) {
		return f, nil, bad(PropertyBadValue, "mask of %v", id)
	}
	return HashField{id, clone(b[:n])}, b[n:], nil
}

func encodeGroupMod(e *encoder, m *GroupMod) error {
	if e.v == V10 {
		e.beginExp(nx, 31)
	} else {
		e.begin(15)
	}
	e.u16(uint16(m.Command))
	e.u8(m.Type, 0)
	e.u32(m.ID)
	if e.v != V10 && e.v != V15 {
		if m.Command > GroupDelete && m.Command != GroupAddOrModify {
			return bad(NXUnencodable, "bucket commands in OpenFlow 1.%d", e.v-V10)
		}
		return e.buckets11(m.Buckets)
	}
	at := len(e.b)
	e.u16(0, 0)
	e.u32(m.CommandBucket)
	return e.buckets15(at, m.Buckets, m.Type, &m.Selection)
}

func (e *encoder) buckets11(list []Bucket) error {
	for i := range list {
		k := &list[i]
		at := len(e.b)
		e.u16(0, k.Weight)
		e.u32(uint32(k.WatchPort), k.WatchGroup, 0)
		if err := firstError(e.actions(k.Actions), e.setLen(at, 0)); err != nil {
			return err
		}
	}
	return nil
}

// buckets15 writes buckets and properties, and the length of the buckets at lenAt of b.
func (e *encoder) buckets15(lenAt int, list []Bucket, typ uint8, s *Selection) error {
	start := len(e.b)
	for i := range list {
		k := &list[i]
		at := len(e.b)
		e.u16(0, 0)
		e.u32(k.ID)
		if err := e.actions(k.Actions); err != nil {
			return err
		}
		n := len(e.b) - at - 8
		if n > 0xffff {
			return bad(ActionTooMany, "bucket with %d bytes of actions", n)
		}
		e.b[at+2], e.b[at+3] = byte(n>>8), byte(n)
		if k.Weight != 0 || typ == GroupTypeSelect {
			e.u16(bucketWeight, 8, k.Weight, 0)
		}
		if k.WatchPort != PortAny {
			e.u16(bucketWatchPort, 8)
			e.u32(uint32(k.WatchPort))
		}
		if k.WatchGroup != GroupAny {
			e.u16(bucketWatchGroup, 8)
			e.u32(k.WatchGroup)
		}
		if err := e.setLen(at, 0); err != nil {
			return err
		}
	}
	n := len(e.b) - start
	if n > 0xffff {
		return bad(GroupModOutOfBuckets, "%d bytes of buckets", n)
	}
	e.b[lenAt], e.b[lenAt+1] = byte(n>>8), byte(n)
	if s.Method == "" {
		return nil
	}
	v := e.v
	if v < V12 {
		v = 0
	}
	return e.property(0xffff, func() {
		e.u32(netronome, 1, 0)
		e.text(s.Method, 16)
		e.u64(s.Param)
		for _, f := range s.Fields {
			e.oxmHeader(f.Field, v, false, len(f.Mask))
			e.bytes(f.Mask)
		}
	})
}

func decodeGroupStatsRequest(d *decoder) (MultipartBody, error) {
	return &GroupStatsRequest{be32(d.body)}, nil
}

func decodeGroupDescRequest(d *decoder) (MultipartBody, error) {
	return &GroupDescRequest{be32(d.body)}, nil
}

func decodeGroupDescReply(d *decoder) (MultipartBody, error) {
	m := &GroupDescReply{}
	d = d.loose()
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, 8)
		if err != nil {
			return nil, err
		}
		rest = r
		g := GroupDesc{Type: b[2], ID: be32(b[4:])}
		if d.v != V10 && d.v != V15 {
			g.Buckets, err = d.buckets11(b[8:])
		} else {
			if len(b) < 16 || int(be16(b[8:])) > len(b)-16 {
				return nil, bad(BadLen, "group description of %d bytes", len(b))
			}
			n := int(be16(b[8:]))
			if g.Buckets, err = d.buckets15(b[16 : 16+n]); err == nil {
				g.Selection, err = d.selection(b[16+n:])
			}
		}
		if err != nil {
			return nil, err
		}
		m.Groups = append(m.Groups, g)
	}
	return m, nil
}

func (m *GroupDescReply) put(e *encoder) error {
	for i := range m.Groups {
		g := &m.Groups[i]
		at := len(e.b)
		e.u16(0)
		e.u8(g.Type, 0)
		e.u32(g.ID)
		var err error
		if e.v != V10 && e.v != V15 {
			err = e.buckets11(g.Buckets)
		} else {
			lenAt := len(e.b)
			e.zero(8)
			err = e.buckets15(lenAt, g.Buckets, g.Type, &g.Selection)
		}
		if err := firstError(err, e.setLen(at, 0)); err != nil {
			return err
		}
	}
	return nil
}

// groupStatsLen is the length of a group's counters without those of its buckets.
func groupStatsLen(v Version) int {
	if v < V13 && v != V10 {
		return 32
	}
	return 40
}

func decodeGroupStatsReply(d *decoder) (MultipartBody, error) {
	m := &GroupStatsReply{}
	for rest := d.body; len(rest) > 0; {
		n := groupStatsLen(d.v)
		b, r, err := entry(rest, n)
		if err != nil {
			return nil, err
		}
		rest = r
		g := GroupStats{ID: be32(b[4:]), RefCount: be32(b[8:]), Packets: be64(b[16:]), Bytes: be64(b[24:])}
		if n == 40 {
			g.DurationSec, g.DurationNsec = be32(b[32:]), be32(b[36:])
		}
		if g.Buckets, err = decodeCounts(b[n:]); err != nil {
			return nil, err
		}
		m.Groups = append(m.Groups, g)
	}
	return m, nil
}

func decodeCounts(b []byte) (out []Counts, err error) {
	if len(b)%16 != 0 {
		return nil, bad(BadLen, "%d bytes of counters", len(b))
	}
	for ; len(b) > 0; b = b[16:] {
		out = append(out, Counts{be64(b), be64(b[8:])})
	}
	return out, nil
}

func (m *GroupStatsReply) put(e *encoder) error {
	for _, g := range m.Groups {
		at := len(e.b)
		e.u16(0, 0)
		e.u32(g.ID, g.RefCount, 0)
		e.u64(g.Packets, g.Bytes)
		if groupStatsLen(e.v) == 40 {
			e.u32(g.DurationSec, g.DurationNsec)
		}
		for _, c := range g.Buckets {
			e.u64(c.Packets, c.Bytes)
		}
		if err := e.setLen(at, 0); err != nil {
			return err
		}
	}
	return nil
}

func decodeGroupFeatures(d *decoder) (MultipartBody, error) {
	b := d.body
	m := &GroupFeaturesReply{Types: be32(b), Capabilities: be32(b[4:])}
	for i := range 4 {
		m.Max[i], m.Actions[i] = be32(b[8+4*i:]), be32(b[24+4*i:])
	}
	return m, nil
}

func (m *GroupFeaturesReply) put(e *encoder) {
	e.u32(m.Types, m.Capabilities)
	e.u32(m.Max[:]...)
	e.u32(m.Actions[:]...)
}
