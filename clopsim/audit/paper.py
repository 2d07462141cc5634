"""What the papers claim."""

from clopsim.audit.claim import CODE, SUCCESSOR, V1, V2, Claim
from clopsim.audit.experiments import clop, collapse, free_norm, labels, long_runs, papers, weak_prototypes

PAPER: tuple[Claim, ...] = (
    Claim(
        identifier="P1",
        statement="All-equal and rank-1 embeddings are stationary for every cosine-only loss.",
        source=f"{V1}, Theorem 3.1; {SUCCESSOR}, Lemma 1",
        assumptions="differentiable in the cosines",
        verdict="proved",
        finding="They are, for every such loss (T1). Footnote: the draft's proof writes P_i, a probability, as -log"
        " of one at the collapsed state.",
        rests_on=("T1",),
    ),
    Claim(
        identifier="P2",
        statement="All-equal and rank-1 embeddings are local minima of InfoNCE.",
        source=f"{V1}, Theorem 3.1",
        assumptions="none stated",
        verdict="refined",
        finding="One is, for N = 2 samples: aligned views, antipodal samples. For N >= 3 every rank-one state has a"
        " way down (T15), all-equal embeddings for every N >= 2 (T2). The draft argues from a zero gradient alone.",
        rests_on=("T2", "T15"),
    ),
    Claim(
        identifier="P3",
        statement="Learning rates outside a range centred at tau/2 drive the merged loss to collapse.",
        source=f"{SUCCESSOR}, learning-rate bound",
        assumptions="merged loss, ambient gradient",
        verdict="refined",
        finding="The edge is tau (n-1)/(n-2), not tau; low temperature breaks the uniform state earlier (T5).",
        experiments=(long_runs.merged_runs_collapse_outside_the_range,),
        rests_on=("T3", "T4", "T5", "T11"),
    ),
    Claim(
        identifier="P4",
        statement="Learning rates outside a range centred at tau/2 drive the full InfoNCE loss to collapse too.",
        source="asked by a reviewer of v2, not answered there",
        assumptions="full loss",
        verdict="refuted",
        finding="A point never attracts; the line with antipodal views does, in ambient runs at large rates. From tau"
        " coth(1/tau) on for many samples, 1.08 mu_c at n = 32, tau = 0.5; up to T5a's rate the aligned uniform state"
        " does too.",
        experiments=(
            collapse.full_loss_keeps_off_the_point,
            long_runs.full_runs_do_not_collapse,
            long_runs.full_loss_ends_on_a_line,
        ),
        rests_on=("T4", "T5a", "T11", "T12"),
    ),
    Claim(
        identifier="P5",
        statement="The bound does not depend on the batch size.",
        source=f"{SUCCESSOR}, implicit",
        assumptions="none stated",
        verdict="refined",
        finding="A factor (n-1)/(n-2) for the sum; proportional to n for the mean, so small batches collapse first.",
        experiments=(collapse.batch_size,),
        rests_on=("T4",),
    ),
    Claim(
        identifier="P6",
        statement="CLOP rules collapse out.",
        source=f'{V2} and {SUCCESSOR}, abstracts: "designed to prevent" collapse, read as a claim',
        assumptions="at least two labelled classes; on the embeddings themselves",
        verdict="refined",
        finding="No rank-1 state is stationary (T6), but with a weak term a large rate keeps the run next to a point."
        " One step leaves it, given the weight: T7. Effective rank 1.005, 1.33, 1.99, 3.96 at weights 0.1, 1, 2, 8"
        " and 10 mu_c (T16).",
        experiments=(clop.rank_at_every_rate, clop.rank_without_prototypes, weak_prototypes.rank_by_weight),
        rests_on=("T6", "T7", "T16"),
    ),
    Claim(
        identifier="P7",
        statement="CLOP gathers each class near its prototype.",
        source=f"{V2}, implicit",
        assumptions="none stated",
        verdict="refined",
        finding="Onto one point only above the critical weight of T9.",
        rests_on=("T8", "T9"),
    ),
    Claim(
        identifier="P8",
        statement="CLOP is stable across learning rates.",
        source=f"{V2} and {SUCCESSOR}, abstracts",
        assumptions="table embedder; in networks it depends on the weight decay (figures training, networks_decay)",
        verdict="measured",
        finding="The rank is that of the equilibrium from 0.5 to 10 mu_c, where runs without prototypes collapse.",
        experiments=(clop.rank_at_every_rate, clop.rank_without_prototypes),
    ),
    Claim(
        identifier="P9",
        statement="Large learning rates collapse real encoders.",
        source=f"{SUCCESSOR}, Figure 2",
        assumptions="table embedder with a free norm; networks are measured in figures/networks_decay.py",
        verdict="refined",
        finding="A free norm grows until the step is safe; with decay its views circulate, the rank stays (T10).",
        experiments=(free_norm.free_norm_finds_the_edge,),
        rests_on=("T10",),
    ),
    Claim(
        identifier="P10",
        statement="Orthonormal prototypes leave classes better separated than a simplex ETF.",
        source=f'{V2}, abstract: "more distinguishable" than with a simplex ETF',
        assumptions="as T18",
        verdict="refined",
        finding="Rank K against K - 1, but a smaller angle: 90 degrees against arccos(-1/(K-1)). The weight that"
        " gathers the classes is smaller too, 3.28 against 3.44 at K = 4, m = 8, d = 8, tau = 0.5, where the simplex"
        " has 109.5 degrees. T8 gives all between.",
        experiments=(papers.rank_of_each_frame,),
        rests_on=("T8", "T18"),
    ),
    Claim(
        identifier="P11",
        statement="CLOP is stable across batch sizes.",
        source=f"{V2} and {SUCCESSOR}, abstracts",
        assumptions="table embedder, all samples labelled, one weight per sample above T9's for each batch",
        verdict="measured",
        finding="At 3 mu_c the rank is that of the equilibrium, 3.976 at 8 embeddings to 3.988 at 64 (weight 16)."
        " The rate mu_c itself grows with the batch under the mean reduction (P5).",
        experiments=(papers.rank_at_every_batch,),
        rests_on=("T8",),
    ),
    Claim(
        identifier="P12",
        statement="CLOP forms orthogonal linear subspaces among class embeddings.",
        source=f"{V2} and {SUCCESSOR}, abstracts",
        assumptions="free embeddings with a dimension to spare, d > K",
        verdict="refuted",
        finding="No class has a subspace of its own: each is one point, or all spread alike. Above T9's weight a"
        " class is a point; below it the spread is common to all: overlap of their covariances 0.99 and more, where"
        " orthogonal subspaces have 0.",
        experiments=(labels.classes_spread_in_one_space,),
        rests_on=("T9",),
    ),
    Claim(
        identifier="P13",
        statement="The learning-rate bound of the second version keeps training from collapse.",
        source=f'{V2}, abstract: "a theoretical bound"',
        assumptions="we have not read the theorem itself",
        verdict="cannot tell",
        finding='We know the bound of the successor only (P3). A reviewer of v2 calls it "2 ... too large".',
    ),
    Claim(
        identifier="P14",
        statement="The option etf of the authors' code makes a simplex ETF.",
        source=f"{CODE}, CLOPLoss.py",
        assumptions="K classes in d > K dimensions",
        verdict="refuted",
        finding="It makes K rows of I - 11^T/d: cosine -1/(d-1), rank K. That is the simplex for K = d alone, and"
        " close to orthonormal prototypes in between: critical weight 3.28, 3.34, 3.44 (K = 4, m = 8, d = 8, tau ="
        " 0.5).",
        experiments=(papers.rank_of_each_frame,),
        rests_on=("T18",),
    ),
    Claim(
        identifier="P15",
        statement="Orthonormal prototypes separate the classes better than random ones.",
        source=f"{V2}, implicit in the choice",
        assumptions="four classes in eight dimensions, weight 12; the more dimensions the less it matters",
        verdict="measured",
        finding="Smallest angle between classes 94 degrees against 42 to 78 with four random frames.",
        experiments=(papers.angle_with_random_prototypes,),
        rests_on=("T8",),
    ),
    Claim(
        identifier="P16",
        statement="The term may measure the cosine, the Euclidean or the Manhattan distance alike.",
        source=f"{CODE}, option distance",
        assumptions="merged loss, all samples labelled, balanced",
        verdict="refined",
        finding="The cosine needs T9's weight for a point and never reaches the prototype. The other two hold every"
        " sample on it from a finite weight on (0.73 against 3.28 for a point), and so erase the classes' inside.",
        rests_on=("T9", "T20"),
    ),
    Claim(
        identifier="P17",
        statement="Samples without a label may still collapse.",
        source=f"{V1}, Section 4, conceded",
        assumptions="table embedder, merged loss, ambient gradient, a quarter or half labelled",
        verdict="measured",
        finding="Above mu_c the unlabelled fall onto one point while the labelled keep their rank. The rank of the"
        " unlabelled is 1.000 then; below mu_c they are held away from every class, their own too (T19).",
        experiments=(papers.the_unlabelled_collapse,),
        rests_on=("T19",),
    ),
    Claim(
        identifier="P18",
        statement="One prototype weight does for classes of all sizes.",
        source=f"{V2}, implicit",
        assumptions="as T19",
        verdict="refined",
        finding="Each size has its own critical weight, (2/tau) m_k/(m_k - 1) at low temperature. Between the"
        " smallest and the largest of them some classes are points and others are not.",
        rests_on=("T19",),
    ),
    Claim(
        identifier="P19",
        statement="VICReg and Barlow Twins end near rank 1 on antipodal views.",
        source=f"{V1}, Section 3",
        assumptions="a network with batch normalisation, for which there is no theory here",
        verdict="cannot tell",
        finding="In our run of that set-up the ranks are above 1, but falling. VICReg has 2.1 at rate 0.001 and"
        " diverges at 0.1 and 10, Barlow Twins has 2.1 to 2.6, 1.9 and 1.5 to 1.9, of at most 3 (figure"
        " paper_synthetic).",
    ),
    Claim(
        identifier="P20",
        statement="CLOP bears wrong labels.",
        source="asked of the method; we know no such statement of the papers",
        assumptions="label noise",
        verdict="cannot tell",
        finding="Free embeddings know nothing but their label: a wrongly labelled one goes to the wrong prototype."
        " What a network's inputs do against it is not measured here.",
    ),
    Claim(
        identifier="P21",
        statement="Runs over learning rates with LARS test the learning-rate bound.",
        source=f"{CODE}: LARS, eta = 0.001, rate 0.3 B/256",
        assumptions="one layer of free embeddings, no momentum",
        verdict="refuted",
        finding="LARS turns the layer by arctan(rate) whatever the gradient, so its rates are not those of T4 (T26).",
        rests_on=("T26",),
    ),
)
